"""Names that the dictionaries lack and that letters do not tell, in American phonemes."""

from __future__ import annotations

NAMES = {
    "beyonce": "biˈɑnsˌA", "caravaggio": "kˌæɹəvˈɑʤiˌO", "chopin": "ʃˈOpæn",
    "cthulhu": "kəθˈulu", "dvorak": "dvˈɔɹʒæk", "euler": "ˈYləɹ", "github": "ɡˈɪthˌʌb",
    "goethe": "ɡˈɜɹtə", "hermione": "həɹmˈIəni", "huawei": "wˈɑwˌA", "joaquin": "wɑkˈin",
    "kubernetes": "kˌubəɹnˈɛɾiz", "laertes": "lAˈɜɹɾiz", "mbappe": "əmbɑpˈA", "nguyen": "wˈɪn",
    "nietzsche": "nˈiʧə", "ophelia": "Ofˈiljə", "schwarzenegger": "ʃwˈɔɹtsənˌɛɡəɹ",
    "siobhan": "ʃɪvˈɔn", "tchaikovsky": "ʧIkˈɔfski", "vivant": "vˈivɑnt", "xiaomi": "ʃˈWmi",
    "zelensky": "zəlˈɛnski", "zelenskyy": "zəlˈɛnski",
}  # fmt: skip


def name(word: str, *, british: bool) -> str | None:
    """Returns the phonemes of a lower-case name, or None where the letters must do."""
    phonemes = NAMES.get(word)
    if phonemes is None or not british:
        return phonemes
    phonemes = phonemes.replace("O", "Q").replace("ɾ", "t").replace("ɜɹ", "ɜː")
    return phonemes.removesuffix("ɹ")
