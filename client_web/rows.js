/**
 * Draws a list again without taking the focus from whoever is in it.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} rows each with a `data-id`
 */
export function replaceRows(list, rows) {
  const focused = document.activeElement;
  const row = list.contains(focused) ? focused?.closest("[data-id]") : null;
  const place = row === null || row === undefined ? -1 : controls(row).findIndex((control) => control === focused);
  const id = row instanceof HTMLElement ? row.dataset["id"] : undefined;
  list.replaceChildren(...rows);
  const again = rows.find((each) => each.dataset["id"] === id);
  if (again !== undefined && place >= 0) controls(again)[place]?.focus();
}

/**
 * @param {Element} row
 * @returns {HTMLElement[]}
 */
const controls = (row) => [...row.querySelectorAll(/** @type {"button"} */ ("button, a"))];
