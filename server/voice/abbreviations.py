"""Abbreviations, units and symbols, and how they are read."""

from __future__ import annotations

# Read out in full, with the point that belongs to them; keys in lower case without it.
ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "mx": "mix", "dr": "doctor",
    "prof": "professor", "rev": "reverend", "hon": "honourable", "capt": "captain",
    "col": "colonel", "gen": "general", "lt": "lieutenant", "sgt": "sergeant", "gov": "governor",
    "sen": "senator", "rep": "representative", "pres": "president", "jr": "junior",
    "sr": "senior", "vs": "versus", "etc": "et cetera", "approx": "approximately",
    "inc": "incorporated", "ltd": "limited", "corp": "corporation", "co": "company",
    "dept": "department", "univ": "university", "assn": "association", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "hwy": "highway", "apt": "apartment", "mt": "mount",
    "ft": "fort", "vol": "volume", "fig": "figure", "eq": "equation", "ch": "chapter",
    "ed": "edition", "est": "established", "min": "minutes",
    "max": "maximum", "e.g": "for example", "i.e": "that is", "cf": "compare", "al": "al",
    "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october",
    "nov": "november", "dec": "december", "mon": "monday", "tue": "tuesday", "tues": "tuesday",
    "wed": "wednesday", "thu": "thursday", "thur": "thursday", "thurs": "thursday",
    "fri": "friday", "no": "number", "st": "saint", "pp": "pages", "w/": "with",
}  # fmt: skip
# These are abbreviations only with their point, being words or names without it.
NEEDS_POINT = frozenset({
    "col", "gen", "rep", "pres", "inc", "co", "mt", "ch", "ed", "est", "min", "max", "al", "jan",
    "mar", "jun", "dec", "mon", "wed", "sat", "sun", "fri", "no", "st", "fig", "rev", "hon", "sen",
    "apt", "ave", "vol", "ms", "sep", "oct", "nov", "feb", "apr", "jul", "aug", "tue", "thu",
    "lt", "pp", "ft", "rd", "eq", "gov", "cf", "ltd", "sr", "jr", "approx", "mx", "corp", "dept",
    "univ", "assn", "blvd", "hwy", "capt", "sgt", "prof", "tues", "thur", "thurs", "sept",
})  # fmt: skip
NEEDS_NUMBER = frozenset({"no", "pp", "fig", "eq", "ch"})  # otherwise the point ends a sentence
NEVER_LAST = frozenset({
    "mr", "mrs", "ms", "mx", "dr", "prof", "rev", "hon", "capt", "lt", "sgt", "gov", "e.g", "i.e",
    "vs", "approx", "cf",
})  # fmt: skip

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip

# After a number: singular and plural.
UNITS = {
    "%": ("percent", "percent"), "‰": ("per mille", "per mille"),
    "°": ("degree", "degrees"), "°C": ("degree celsius", "degrees celsius"),
    "°F": ("degree fahrenheit", "degrees fahrenheit"),
    "mm": ("millimetre", "millimetres"), "cm": ("centimetre", "centimetres"),
    "m": ("metre", "metres"), "km": ("kilometre", "kilometres"), "in": ("inch", "inches"),
    "ft": ("foot", "feet"), "mi": ("mile", "miles"), "yd": ("yard", "yards"),
    "mg": ("milligram", "milligrams"), "g": ("gram", "grams"), "kg": ("kilogram", "kilograms"),
    "lb": ("pound", "pounds"), "lbs": ("pounds", "pounds"), "oz": ("ounce", "ounces"),
    "ml": ("millilitre", "millilitres"), "l": ("litre", "litres"), "L": ("litre", "litres"),
    "ms": ("millisecond", "milliseconds"), "s": ("second", "seconds"),
    "sec": ("second", "seconds"), "min": ("minute", "minutes"), "h": ("hour", "hours"),
    "hr": ("hour", "hours"), "hrs": ("hours", "hours"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"),
    "Mbps": ("megabit per second", "megabits per second"),
    "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"), "MW": ("megawatt", "megawatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "V": ("volt", "volts"), "A": ("amp", "amps"),
    "mph": ("mile per hour", "miles per hour"), "fps": ("frame per second", "frames per second"),
    "km/h": ("kilometre per hour", "kilometres per hour"),
    "kph": ("kilometre per hour", "kilometres per hour"),
    "m/s": ("metre per second", "metres per second"), "dB": ("decibel", "decibels"),
    "px": ("pixel", "pixels"), "x": ("times", "times"), "×": ("times", "times"),
    "k": ("thousand", "thousand"), "K": ("thousand", "thousand"), "M": ("million", "million"),
    "bn": ("billion", "billion"), "km²": ("square kilometre", "square kilometres"),
    "m²": ("square metre", "square metres"), "m³": ("cubic metre", "cubic metres"),
}  # fmt: skip

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "US$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""), "₹": ("rupee", "rupees", "paisa", "paise"),
    "₿": ("bitcoin", "bitcoins", "", ""), "₩": ("won", "won", "", ""),
    "₽": ("rouble", "roubles", "kopeck", "kopecks"),
}  # fmt: skip

SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "%": "percent", "@": "at", "÷": "divided by",
    "×": "times", "≈": "about", "~": "about", "≤": "at most", "≥": "at least", "<": "less than",
    ">": "greater than", "→": "to", "∞": "infinity", "√": "square root of", "±": "plus or minus",
    "≠": "is not", "°": "degrees", "§": "section", "¶": "paragraph", "$": "dollars",
    "£": "pounds", "€": "euros", "½": "one half", "⅓": "one third", "⅔": "two thirds",
    "¼": "one quarter", "¾": "three quarters", "⅛": "one eighth", "²": "squared", "³": "cubed",
    "µ": "micro", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon",
    "θ": "theta", "λ": "lambda", "μ": "mu", "π": "pi", "σ": "sigma", "τ": "tau", "φ": "phi",
    "ω": "omega", "Δ": "delta", "Σ": "sigma", "Ω": "omega",
}  # fmt: skip

REGNAL = frozenset({
    "louis", "henry", "charles", "george", "edward", "james", "william", "richard", "elizabeth",
    "john", "paul", "pius", "benedict", "leo", "gregory", "francis", "frederick", "philip",
    "napoleon", "catherine", "peter", "nicholas", "alexander", "ramesses", "mary", "innocent",
    "urban", "clement", "friedrich", "wilhelm", "ferdinand", "carl", "gustav", "christian",
})  # fmt: skip
NUMBERED = frozenset({
    "chapter", "part", "act", "scene", "volume", "book", "section", "war", "article", "title",
    "type", "phase", "stage", "level", "class", "grade", "table", "figure", "appendix", "episode",
    "season", "bowl", "apollo", "mark", "canto", "sonnet", "rocky", "fantasy", "wars",
})  # fmt: skip
