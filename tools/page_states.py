"""The page's modes and states, and how each is reached. `page_screens` photographs them.

States that a server is rarely in (no room, no answer, a line) are made up by answering in its
place. A state is two functions of a page and the server's address: one acts before the page is
opened, one brings it there.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, Route, WebSocketRoute

LIVE = "body[data-phase=live][data-picture=live]"
SCRIPT = """# Welcome

[happy] Good evening, everyone! [nod] It is **good** to be here.

- Vivant reads this script. [pause 600ms] Live.
- [neutral] You may change it while it is being read.
"""
REFUSE_DEVICE = """name => { navigator.mediaDevices.getUserMedia =
  async () => { throw new DOMException("", name); }; }"""

Prepare = Callable[[Page, str], None]
STATES: dict[str, tuple[Prepare, Prepare]] = {}


def _state(before: Prepare | None = None) -> Callable[[Prepare], Prepare]:
    """Registers a state under its function's name; `before` acts before the page is opened."""

    def register(reach: Prepare) -> Prepare:
        name = reach.__name__.strip("_").replace("_", "-")
        STATES[name] = (before or _nothing, reach)
        return reach

    return register


def _nothing(_page: Page, _server: str) -> None:
    """Leaves the page as it is."""


def _hold(pattern: str, method: str = "") -> Prepare:
    """Returns what lets requests to an address wait for ever."""

    def act(page: Page, _server: str) -> None:
        def wait(route: Route) -> None:
            if method and route.request.method != method:
                route.continue_()

        page.route(pattern, wait)

    return act


def _refuse(pattern: str, status: int, code: str, message: str, method: str = "POST") -> Prepare:
    """Returns what refuses requests to an address as the server would."""

    def act(page: Page, _server: str) -> None:
        def answer(route: Route) -> None:
            if route.request.method == method:
                body = {"error": {"code": code, "message": message}}
                route.fulfill(status=status, json=body, headers={"Retry-After": "30"})
            else:
                route.continue_()

        page.route(pattern, answer)

    return act


def _abort(pattern: str) -> Prepare:
    """Returns what lets requests to an address fail."""

    def act(page: Page, _server: str) -> None:
        page.route(pattern, lambda route: route.abort())

    return act


def _stand_in_line(page: Page, _server: str) -> None:
    """Gives the page a session that waits for its place."""
    session = {
        "session_id": "waiting", "token": "t", "ice_servers": [], "fps": 25, "size": 512,
        "background": "keep", "layout": "plain", "position": 2, "wait_s": 60,
    }  # fmt: skip
    page.route("**/v1/sessions", lambda route: route.fulfill(status=202, json=session))

    def tell(socket: WebSocketRoute) -> None:
        socket.send('{"type": "session.queued", "position": 2, "wait_s": 60}')

    page.route_web_socket("**/v1/sessions/waiting/events", tell)


def _overhear(page: Page, _server: str) -> None:
    """Lets states put words into the server's mouth: `tell(message)`, `hangUp()`."""
    sockets: list[WebSocketRoute] = []

    def join(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/events", join)
    page.expose_function("tell", lambda message: sockets[-1].send(message))
    page.expose_function("hangUp", lambda: sockets[-1].close())


def _live(page: Page, mode: str = "present") -> None:
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#microphone:enabled")
    page.click(f"#mode-{mode}")
    page.wait_for_selector(f"#panel-{mode}:not([aria-busy=true]) *")
    page.wait_for_timeout(1_200)  # the figures come once a second


def _say(page: Page, message: str) -> None:
    page.evaluate("message => window.tell(message)", message)


def _write_script(page: Page, text: str) -> None:
    page.fill("#script", text)
    page.wait_for_selector("#script-state:not(:empty)")


def _bring_picture(page: Page, server: str) -> None:
    page.click("#add")
    portrait = page.request.get(f"{server}/v1/portraits").json()[0]["id"]
    picture = page.request.get(f"{server}/v1/portraits/{portrait}/image").body()
    image = FilePayload(name="Lisa.jpg", mimeType="image/jpeg", buffer=picture)
    page.set_input_files("#file", image)


def _own_the_built_in(page: Page, _server: str) -> None:
    """Lists the portraits that the server ships with as the visitor's own."""

    def answer(route: Route) -> None:
        portraits = route.fetch().json()
        route.fulfill(json=[portrait | {"builtin": False} for portrait in portraits])

    page.route("**/v1/portraits", answer)


@_state(_hold("**/*.js"))
def _loading(page: Page, _server: str) -> None:
    page.wait_for_selector("#text")


@_state(_hold("**/v1/sessions"))
def _connecting(page: Page, _server: str) -> None:
    page.wait_for_selector("#script")


@_state(_stand_in_line)
def _queued(page: Page, _server: str) -> None:
    page.wait_for_selector("#veil:visible")


@_state(_refuse("**/v1/sessions", 503, "capacity", "There is no place."))
def _full(page: Page, _server: str) -> None:
    page.wait_for_selector("#veil:visible")


@_state(_abort("**/v1/sessions"))
def _no_connection(page: Page, _server: str) -> None:
    page.wait_for_selector("#veil:visible")


@_state(_refuse("**/v1/sessions", 422, "no_face", "There is no face in the picture."))
def _refused(page: Page, _server: str) -> None:
    page.wait_for_selector("#veil:visible")


@_state(_overhear)
def _reconnecting(page: Page, server: str) -> None:
    _live(page)
    for path in ("**/resume", "**/v1/sessions"):
        _abort(path)(page, server)
    page.evaluate("window.hangUp()")
    page.wait_for_selector("#veil:visible")


@_state(_overhear)
def _at_rest(page: Page, server: str) -> None:
    with page.expect_response("**/v1/sessions") as opened:
        page.goto(server)
    _live(page)
    page.request.delete(f"{server}/v1/sessions/{opened.value.json()['session_id']}")
    page.wait_for_selector("#veil:visible")


@_state()
def _idle(page: Page, _server: str) -> None:
    _live(page)


@_state()
def _speaking(page: Page, _server: str) -> None:
    _live(page)
    page.fill("#text", "To be, or not to be, that is the question: whether 'tis nobler to suffer.")
    page.press("#text", "Enter")
    page.wait_for_selector("#captions:visible")
    page.wait_for_timeout(1_500)


@_state()
def _start_with_sound(page: Page, _server: str) -> None:
    _live(page)
    page.evaluate("document.getElementById('unlock').hidden = false")


@_state(_overhear)
def _notices(page: Page, _server: str) -> None:
    _live(page)
    _say(page, '{"type": "session.expiring", "reason": "idle", "seconds": 60}')
    _say(page, '{"type": "error", "code": "bad_request", "message": "The text has no words."}')


@_state()
def _figures(page: Page, _server: str) -> None:
    _live(page)
    page.click("#figures-summary")
    page.wait_for_timeout(1_500)


@_state()
def _films(page: Page, _server: str) -> None:
    _live(page)
    page.click("#films-summary")
    page.wait_for_timeout(800)


@_state()
def _recording(page: Page, _server: str) -> None:
    _live(page)
    page.click("#films-summary")
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    page.wait_for_timeout(2_500)


@_state()
def _recorded(page: Page, _server: str) -> None:
    _live(page)
    page.click("#films-summary")
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    page.wait_for_timeout(2_500)
    page.click("#record")
    page.wait_for_selector("#films-list a[download]")


@_state()
def _stream_refused(page: Page, _server: str) -> None:
    _live(page)
    page.click("#films-summary")
    page.click("#streams-summary")
    page.fill("#stream-url", "rtmp://127.0.0.1:9/live")
    page.click("#stream-start")
    page.wait_for_selector("#streams-list [data-state=retrying]")


@_state()
def _transparent(page: Page, _server: str) -> None:
    _live(page)
    page.check("input[name=background][value=transparent]", force=True)
    page.wait_for_selector("body[data-layout=packed]")
    page.evaluate("scrollTo(0, 0)")


@_state()
def _microphone_on(page: Page, _server: str) -> None:
    _live(page)
    page.click("#microphone")
    page.wait_for_selector("body[data-microphone=on]")
    page.click("#microphone-more")
    page.wait_for_timeout(800)


@_state()
def _microphone_refused(page: Page, _server: str) -> None:
    _live(page)
    page.evaluate(REFUSE_DEVICE, "NotAllowedError")
    page.click("#microphone")
    page.wait_for_selector("#microphone-fault:not(:empty)")


@_state()
def _dialog(page: Page, _server: str) -> None:
    _live(page)
    page.click("#add")


@_state()
def _dialog_camera(page: Page, _server: str) -> None:
    _live(page)
    page.click("#add")
    page.click("#choose-camera")
    page.wait_for_function("document.getElementById('camera').videoWidth > 0")


@_state(_hold("**/v1/portraits/preview", "POST"))
def _dialog_busy(page: Page, server: str) -> None:
    _live(page)
    _bring_picture(page, server)
    page.wait_for_selector("text=Looking for the face")


@_state()
def _dialog_found(page: Page, server: str) -> None:
    _live(page)
    _bring_picture(page, server)
    page.wait_for_selector("#proof-name:visible")
    page.wait_for_timeout(300)


@_state()
def _dialog_refused(page: Page, _server: str) -> None:
    _live(page)
    page.click("#add")
    note = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"no picture")
    page.set_input_files("#file", note)
    page.wait_for_selector("#dialog-fault:not(:empty)")


@_state(_own_the_built_in)
def _portrait_editor(page: Page, _server: str) -> None:
    _live(page)
    page.click("#gallery .tile-more")
    page.wait_for_selector("#editor-name:visible")


@_state(_own_the_built_in)
def _portrait_delete(page: Page, server: str) -> None:
    _portrait_editor(page, server)
    page.click("#editor-delete")


@_state()
def _script_ready(page: Page, _server: str) -> None:
    _live(page)
    _write_script(page, SCRIPT)


@_state()
def _script_faults(page: Page, _server: str) -> None:
    _live(page)
    _write_script(page, SCRIPT + "\n[hapy] Something [pause soon] is wrong.")


@_state()
def _script_marks(page: Page, _server: str) -> None:
    _live(page)
    _write_script(page, SCRIPT)
    page.click("#script-more")
    page.wait_for_selector("#script-mark-list button")


@_state()
def _script_playing(page: Page, _server: str) -> None:
    _live(page)
    _write_script(page, SCRIPT)
    page.click("#script-play")
    page.wait_for_selector("#script-sentences [aria-current=true] >> text=It is good")


@_state()
def _script_changed(page: Page, _server: str) -> None:
    _live(page)
    _write_script(page, SCRIPT)
    page.click("#script-play")
    page.wait_for_selector("#script-sentences [aria-current=true]")
    page.fill("#script", SCRIPT + "\nOne more sentence.")


@_state()
def _script_paused(page: Page, _server: str) -> None:
    _live(page)
    _write_script(page, SCRIPT)
    page.click("#script-play")
    page.wait_for_selector("#script-sentences [aria-current=true] >> text=Good evening")
    page.click("#script-play")
    page.wait_for_selector("text=Paused in")


@_state(_hold("**/modes/converse.html"))
def _mode_loading(page: Page, _server: str) -> None:
    page.wait_for_selector(LIVE)
    page.click("#mode-converse")
    page.wait_for_timeout(300)


@_state(_abort("**/modes/puppet.html"))
def _mode_failed(page: Page, _server: str) -> None:
    page.wait_for_selector(LIVE)
    page.click("#mode-puppet")
    page.wait_for_selector("text=This part of the page did not arrive.")


@_state()
def _converse(page: Page, _server: str) -> None:
    _live(page, "converse")


@_state(_overhear)
def _converse_thinking(page: Page, _server: str) -> None:
    _live(page, "converse")
    _say(page, '{"type": "user.transcript", "turn": 1, "text": "Who are you?", "source": "text"}')
    _say(page, '{"type": "session.state_updated", "state": "thinking", "media_time": 0}')


@_state()
def _converse_talked(page: Page, _server: str) -> None:
    _live(page, "converse")
    page.fill("#converse-text", "Who are you?")
    page.press("#converse-text", "Enter")
    page.wait_for_selector("body[data-speech=speaking]")
    page.wait_for_timeout(3_000)


@_state(_overhear)
def _converse_failed(page: Page, _server: str) -> None:
    _live(page, "converse")
    words = "The brain at chat.example did not answer within 30 s."
    _say(page, f'{{"type": "brain.failed", "code": "timeout", "message": "{words}"}}')


@_state()
def _puppet(page: Page, _server: str) -> None:
    _live(page, "puppet")


@_state()
def _puppet_without_a_face(page: Page, _server: str) -> None:
    _live(page, "puppet")
    page.click("#puppet-camera")
    page.wait_for_selector("#mirror:visible")
    page.click("#puppet-more-summary")
    page.wait_for_timeout(5_000)  # the face tracker loads


@_state()
def _puppet_refused(page: Page, _server: str) -> None:
    _live(page, "puppet")
    page.evaluate(REFUSE_DEVICE, "NotAllowedError")
    page.click("#puppet-camera")
    page.wait_for_selector("#puppet-fault:not(:empty)")


@_state()
def _puppet_elsewhere(page: Page, _server: str) -> None:
    _live(page, "puppet")
    page.click("#puppet-elsewhere")
