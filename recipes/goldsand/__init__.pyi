# The public names: written by `python -m recipes.app.api.names`, from the tables there.

from curate import Check as Check
from curate import CorpusStep as CorpusStep
from curate import Document as Document
from curate import Drop as Drop
from curate import Edit as Edit
from curate import Record as Record
from curate import Round as Round
from curate import Rule as Rule
from curate import Skipped as Skipped
from curate import Step as Step
from curate import Unreadable as Unreadable
from curate import Verdict as Verdict
from curate import param as param
from curate.decontaminate.decontaminate import Decontaminate as Decontaminate
from curate.dedup.exact import ExactDedup as ExactDedup
from curate.dedup.minhash import MinHashDedup as MinHashDedup
from curate.dedup.repeats import LineDedup as LineDedup
from curate.dedup.repeats import PassageDedup as PassageDedup
from curate.errors import Refused as Refused
from curate.extract.extract import Extract as Extract
from curate.filters.c4 import C4 as C4
from curate.filters.classifier import Classifier as Classifier
from curate.filters.dclm import DclmC4 as DclmC4
from curate.filters.dclm import DclmQuality as DclmQuality
from curate.filters.dclm import DclmRepetition as DclmRepetition
from curate.filters.dclm import RefinedWebLines as RefinedWebLines
from curate.filters.dclm_text import DclmText as DclmText
from curate.filters.density import KnowledgeDensity as KnowledgeDensity
from curate.filters.dolma import DolmaC4 as DolmaC4
from curate.filters.dolma import DolmaQuality as DolmaQuality
from curate.filters.dolma import DolmaRepetition as DolmaRepetition
from curate.filters.fineweb import FineWeb as FineWeb
from curate.filters.gopher import GopherQuality as GopherQuality
from curate.filters.gopher import GopherRepetition as GopherRepetition
from curate.filters.language import Language as Language
from curate.filters.safety import Safety as Safety
from curate.filters.url import Url as Url
from curate.mix import Mix as Mix
from curate.redact.redact import Redact as Redact
from curate.rights.forget import Forget as Forget
from curate.rights.rights import Rights as Rights
from curate.shuffle import Shuffle as Shuffle
from recipes.app.api.comparisons import ArmAnswer as ArmAnswer
from recipes.app.api.comparisons import FinishedComparison as FinishedComparison
from recipes.app.api.comparisons import compare as compare
from recipes.app.api.documents import Differences as Differences
from recipes.app.api.documents import Story as Story
from recipes.app.api.documents import Verified as Verified
from recipes.app.api.documents import diff as diff
from recipes.app.api.documents import verify as verify
from recipes.app.api.documents import why as why
from recipes.app.api.fits import FittedLaw as FittedLaw
from recipes.app.api.fits import fit as fit
from recipes.app.api.folders import read as read
from recipes.app.api.folders import steps as steps
from recipes.app.api.inline import InlinePage as InlinePage
from recipes.app.api.probes import FinishedProbe as FinishedProbe
from recipes.app.api.probes import probe as probe
from recipes.app.api.profiles import Decided as Decided
from recipes.app.api.profiles import FinishedProfile as FinishedProfile
from recipes.app.api.profiles import decide as decide
from recipes.app.api.profiles import profile as profile
from recipes.app.api.recipe import Recipe as Recipe
from recipes.app.api.releases import CheckedRelease as CheckedRelease
from recipes.app.api.releases import FinishedRelease as FinishedRelease
from recipes.app.api.releases import check_release as check_release
from recipes.app.api.releases import release as release
from recipes.app.api.runs import Balance as Balance
from recipes.app.api.runs import FinishedRun as FinishedRun
from recipes.app.api.runs import PlannedRun as PlannedRun
from recipes.app.api.runs import TooMuchLost as TooMuchLost
from recipes.app.api.runs import plan as plan
from recipes.app.api.runs import run as run
from recipes.app.api.tables import DataTable as DataTable
from recipes.app.recipe.load import RecipeError as RecipeError
from synth.inject import Inject as Inject

__all__ = [  # noqa: RUF022
    "ArmAnswer",
    "Balance",
    "C4",
    "Check",
    "CheckedRelease",
    "Classifier",
    "CorpusStep",
    "DataTable",
    "DclmC4",
    "DclmQuality",
    "DclmRepetition",
    "DclmText",
    "Decided",
    "Decontaminate",
    "Differences",
    "Document",
    "DolmaC4",
    "DolmaQuality",
    "DolmaRepetition",
    "Drop",
    "Edit",
    "ExactDedup",
    "Extract",
    "FineWeb",
    "FinishedComparison",
    "FinishedProbe",
    "FinishedProfile",
    "FinishedRelease",
    "FinishedRun",
    "FittedLaw",
    "Forget",
    "GopherQuality",
    "GopherRepetition",
    "Inject",
    "InlinePage",
    "KnowledgeDensity",
    "Language",
    "LineDedup",
    "MinHashDedup",
    "Mix",
    "PassageDedup",
    "PlannedRun",
    "Recipe",
    "RecipeError",
    "Record",
    "Redact",
    "RefinedWebLines",
    "Refused",
    "Rights",
    "Round",
    "Rule",
    "Safety",
    "Shuffle",
    "Skipped",
    "Step",
    "Story",
    "TooMuchLost",
    "Unreadable",
    "Url",
    "Verdict",
    "Verified",
    "check_release",
    "compare",
    "decide",
    "diff",
    "fit",
    "param",
    "plan",
    "probe",
    "profile",
    "read",
    "release",
    "run",
    "steps",
    "verify",
    "why",
]
__version__: str
