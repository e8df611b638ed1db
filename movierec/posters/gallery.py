"""Which compositions and which faces each family of films may get."""

from collections.abc import Callable

from movierec.posters.art import (
    action,
    adventure,
    comedy,
    document,
    drama,
    fantasy,
    horror,
    house,
    musical,
    mystery,
    noir,
    play,
    romance,
    space,
    war,
    western,
)
from movierec.posters.colour import Paint
from movierec.posters.dice import Dice

Composition = Callable[[Dice, float, float, Paint], list[str]]

# The dice pick by position: adding, removing or moving an entry changes posters, so it needs a new VERSION.
COMPOSITIONS: dict[str, tuple[Composition, ...]] = {
    "noir": (
        noir.blinds,
        noir.lamp,
        noir.towers,
        noir.slit_sun,
        noir.fingerprint,
        noir.linked,
        noir.corridor,
        noir.scatter,
    ),
    "western": (western.mesa, western.striped_sun, western.road, document.strata),
    "musical": (musical.vinyl, musical.bars, musical.ribbons, comedy.awning),
    "war": (war.shards, war.broken_grid, war.chevrons),
    "horror": (horror.claws, horror.eye, horror.door, horror.teeth),
    "document": (
        document.contours,
        document.contact_sheet,
        document.halftone,
        document.iris,
        document.fields,
        document.strata,
        document.tally,
    ),
    "play": (play.tiles, play.hills, play.blocks, comedy.scales),
    "space": (
        space.orbits,
        space.planet,
        space.plain,
        space.dial,
        space.lattice,
        space.signal,
        space.phases,
        space.saturn,
    ),
    "fantasy": (fantasy.arches, fantasy.peaks, fantasy.star, fantasy.eclipse, fantasy.feathers, fantasy.hall),
    "mystery": (
        horror.door,
        document.iris,
        mystery.tunnel,
        mystery.stairs,
        mystery.sliced,
        mystery.maze,
        action.target,
        noir.corridor,
    ),
    "romance": (
        musical.ribbons,
        romance.meeting,
        romance.petals,
        romance.moonlight,
        drama.arcs,
        fantasy.feathers,
    ),
    "adventure": (western.road, fantasy.peaks, adventure.scallops, adventure.rays, adventure.route),
    "action": (war.chevrons, adventure.rays, action.speed, action.tumble, action.target),
    "comedy": (comedy.smile, comedy.teeter, comedy.bounce, comedy.awning, comedy.scales, comedy.wobble),
    "drama": (
        mystery.stairs,
        drama.window,
        drama.horizon,
        drama.curtain,
        drama.planes,
        drama.arcs,
        drama.rain,
        drama.thread,
        drama.fold,
        noir.scatter,
    ),
    "house": (house.leader, house.beam),
}

# family -> the styles of typeset.STYLES that suit it; a name given twice is picked twice as often
FACES: dict[str, tuple[str, ...]] = {
    "noir": ("caps", "heavy", "wide"),
    "western": ("caps", "heavy"),
    "musical": ("heavy", "light"),
    "war": ("caps", "heavy"),
    "horror": ("caps", "heavy", "wide"),
    "document": ("small", "light", "heavy"),
    "play": ("heavy",),
    "space": ("wide", "light", "caps"),
    "fantasy": ("light", "heavy"),
    "mystery": ("heavy", "caps", "light"),
    "romance": ("light", "heavy", "light"),
    "adventure": ("heavy", "caps"),
    "action": ("caps", "heavy"),
    "comedy": ("heavy",),
    "drama": ("light", "small", "heavy"),
    "house": ("small", "heavy"),
}
