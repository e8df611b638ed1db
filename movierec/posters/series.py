"""A title's parts: the name, what may be set small below it, and the series that it belongs to."""

import re

# MovieLens moves a leading article to the end: "Piano, The".
_MOVED_ARTICLE = re.compile(r"^(.*), (The|A|An|Les|La|Le|Der|Die|Das|El|Il|L’)(?=$|:)(.*)$")


def split_title(title: str) -> tuple[str, str]:
    """'Star Wars: Episode IV - A New Hope' -> the name, and what may be set small."""
    # A note in brackets follows the name; brackets inside a word or before it, as in "(T)raum", are the name.
    title = re.sub(r"\s+\([^()]*\)", "", title)
    title = title.replace("...", "…").replace("'", "’").replace(" - ", " – ").replace(" 1/2", "½")
    moved = _MOVED_ARTICLE.match(title)
    if moved:
        name, article, rest = moved.groups()
        title = f"{article}{'' if article == 'L’' else ' '}{name}{rest}"
    for mark in (" or: ", ": ", " – "):
        name, found, rest = title.partition(mark)
        name = name.rstrip(":,")
        if found and len(name) >= 3 and len(rest) > 3:
            return name, rest[:1].upper() + rest[1:]
    return title, ""


def series_of(title: str) -> str:
    """The key that the films of one series share."""
    name = split_title(title)[0].lower()
    name = re.split(r" and the | of the |, part|\bpart\b| episode |\bchapter\b|\bvol\b", name)[0]
    name = re.sub(r"^(the|a|an) ", "", name)
    name = re.sub(r"\s+([ivx]+|\d{1,2})$|[³²]", "", name).strip(" ,:–-")
    return name.removesuffix("s") or title.lower()
