# ruff: noqa: SIM905 (lists of words read best as words)
"""Composes the pools of this folder: invented names in the published sizes of bioS, none a prefix of another.

Run it to write the files again: `python synth/pools/compose.py`. No beginning is a prefix of another, nor is an ending,
so no name composed of one of each is either.
"""

from __future__ import annotations

import itertools
from pathlib import Path

FIRST = (
    "Al Bren Cor Dar Ed Fen Gar Hal Il Jor Kel Lan Mar Nor Os Per Ros Sel Tam Vin".split(),
    "ander bert cia da eth field gret hild ian ka lena mund nia ora pha rick sen tine vor wyn".split(),
)
MIDDLE = (
    "Am Bel Cas Dor Em Fal Gil Har Ing Jas Kas Leo Mel Nat Or Pas Ren Sab Thel Ul".split(),
    "andra bin cy din elle fred gard helm inus jan kus lyn mira nora o ric son ton va win".split(),
)
LAST = (
    "Ack Bar Beck Cald Chal Crow Dal Den East Fair Fos Gal Glen Had Haw Hol Ives Kem Kirk Lang Len Mal Mid Nash Nor "
    "Oak Pem Pres Rad Red Sel Shaw Stan Tal Thorn Under Wal West Whit Yar".split(),
    "bourne by combe cott croft dale den ford gate ham hurst land ley man mere mont more ridge set son stead thorpe "
    "ton well wick".split(),
)
PLACE = (
    "Amber Ashen Bay Birch Bram Brook Cedar Clay Cliff Copper Coral Dun Ember Fern Flint Gold Grain Haze Iron Juni "
    "Lark Lime Loch Maple Marsh Mill Moss Opal Pearl Quarry Raven Reed Sand Silver Slate Stone Thistle Wheat Wil "
    "Yew".split(),
    "brook field haven port ville".split(),
)
SCHOOL = (
    "Abbot Alder Arden Avon Blake Byron Carver Chester Clare Dover Drake Elgin Ellis Emory Exley Fenton Gannet Garrick "
    "Grafton Halley Harrow Hobart Irving Jarvis Kepler Keswick Lambert Lorimer Marlow Mercer Milton Napier Newland "
    "Osborn Paget Penrose Quincy Radley Ramsey Selby Sidney Somers Tarrant Tilden Upton Vernon Walden Webster Wolsey "
    "Yardley".split(),
    (
        "University of {}",
        "{} University",
        "{} College",
        "{} Institute of Technology",
        "{} Polytechnic",
        "{} School of Arts and Sciences",
    ),
)
FIRM = (
    "Acorn Aegis Anchor Apex Arbor Atlas Aurora Axiom Beacon Blue Boulder Bridge Canyon Cascade Cobalt Comet Compass "
    "Crest Crown Delta Dynamo Eagle Echo Falcon Forge Frontier Glacier Granite Harbor Helix Horizon Indigo Jade "
    "Keystone Lantern Lumen Magnet Meridian Meteor Nimbus Nova Orbit Pinnacle Prairie Prism Quartz Ridge Sierra "
    "Summit Tidal Vector Willow Zenith".split(),
    "Foods Logistics Instruments Software Energy".split(),
)
MAJORS = (
    "Accounting,Acoustics,Actuarial Science,Aerospace Engineering,African Studies,Agronomy,Anatomy,Animal Husbandry,"
    "Anthropology,Archaeology,Architecture,Art History,Asian Studies,Astronomy,Audiology,Bacteriology,Biochemistry,"
    "Bioinformatics,Botany,Cartography,Ceramics,Chemistry,Choreography,Cinematography,Civil Engineering,Classics,"
    "Climatology,Cognitive Science,Comparative Literature,Computer Science,Criminology,Cryptography,Culinary Arts,"
    "Dentistry,Dietetics,Drama,Ecology,Econometrics,Electrical Engineering,Entomology,Epidemiology,Ergonomics,Ethics,"
    "Fashion Design,Finance,Fire Protection,Folklore,Forestry,Genetics,Geography,Geology,German Studies,Gerontology,"
    "Graphic Design,Horticulture,Hotel Management,Hydrology,Immunology,Industrial Design,Italian Studies,Journalism,"
    "Kinesiology,Landscape Planning,Law,Library Science,Linguistics,Logic,Marine Biology,Marketing,Mathematics,"
    "Mechanical Engineering,Metallurgy,Meteorology,Microbiology,Mining Engineering,Museum Studies,Music Theory,"
    "Neuroscience,Nursing,Oceanography,Optics,Ornithology,Paleontology,Pharmacy,Philosophy,Photography,Physics,"
    "Political Science,Psychology,Public Health,Robotics,Russian Studies,Sculpture,Sociology,Statistics,Theology,"
    "Tourism,Urban Planning,Veterinary Medicine,Zoology"
).split(",")


def pools() -> dict[str, list[str]]:
    """The lines of each file, by its name."""
    cities = _joined(*PLACE)
    schools = [form.format(name) for name, form in itertools.product(*SCHOOL)]
    firms = [f"{name} {trade}" for name, trade in itertools.product(*FIRM)][:263]
    return {
        "first_name": _joined(*FIRST),
        "middle_name": _joined(*MIDDLE),
        "last_name": _joined(*LAST),
        "city": cities,
        "university": schools,
        "field": list(MAJORS),
        # 73 has no factor in common with 200: neighbours in the list work far apart, every city has a firm.
        "company": [f"{firm}; {cities[place * 73 % len(cities)]}" for place, firm in enumerate(firms)],
    }


def _joined(beginnings: list[str], endings: list[str]) -> list[str]:
    return [beginning + ending for beginning, ending in itertools.product(beginnings, endings)]


if __name__ == "__main__":
    for pool, lines in pools().items():
        Path(__file__).with_name(f"{pool}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
