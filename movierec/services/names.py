"""Names of people: what may stand in one, and the key by which names that look alike are one (Unicode TR 36, TR 39)."""

from __future__ import annotations

import re
import unicodedata

from movierec.services.errors import Refused

LONGEST = 40
# Default_Ignorable_Code_Point of the Unicode database, and U+2800, the Braille pattern without a dot: nothing to see.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")  # share shapes, so that a name may use only one
# Lower-case letters of other alphabets, and Latin variants, in the shape of a Latin letter (from TR 39's confusables).
_SHAPES = str.maketrans(
    "абвгезіјкмнорстухцѕћԁԛԝүһ" + "αβγδεηικνορστυχωϲ" + "օոսհցյզ" + "ɑɡɩʋʏʀʟɴᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢ",
    "a6bre3ijkmhopctyxusħdqwyh" + "abydenikvopotuxwc" + "onuhgjq" + "agiuyrlnacdejkmoptuvwz",
)


def clean(name: str) -> tuple[str, str]:
    """The name as shown, and the key that it shares with every name that looks like it. Raises Refused.

    Spaces around and what can't be seen are left out of both; width, style and case count only in the first.
    """
    composed = unicodedata.normalize("NFKC", name)
    seen = "".join(char for char in composed if unicodedata.category(char) != "Cf")
    shown = " ".join(_UNSEEN.sub("", seen).split())
    if not 1 <= len(shown) <= LONGEST:
        raise Refused(f"Use a name of 1 to {LONGEST} characters.", field="name")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") for char in shown):
        raise Refused("The name holds a character that can't be shown. Leave it out.", field="name")
    if not any(unicodedata.category(char)[0] in "LNS" for char in shown):  # letters, numbers, symbols such as emoji
        raise Refused("Use at least one letter or digit in the name.", field="name")
    if len({script for char in shown if (script := unicodedata.name(char, "").partition(" ")[0]) in _ALPHABETS}) > 1:
        raise Refused("The name mixes alphabets whose letters look alike. Use one of them.", field="name")
    return shown, _key(shown)


def _key(shown: str) -> str:
    """Folded to shapes. Marks on letters stay (é is not e); the iota written below, which casefold spells out, goes."""
    folded = unicodedata.normalize("NFKC", shown.replace("\u0345", "").casefold())
    folded = folded.replace("i\u0307", "i").replace("\u0131", "i")  # the Turkish dotted and dotless i
    return unicodedata.normalize("NFKC", folded.translate(_SHAPES))
