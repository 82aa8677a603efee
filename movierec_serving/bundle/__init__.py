"""What a served model is: its files, how they are written and read, how they recommend.

NumPy, pydantic and the standard library only, so that whatever holds a bundle can use it.
"""

from movierec_serving.bundle.array_files import FileEntry as FileEntry
from movierec_serving.bundle.bundle import Bundle as Bundle
from movierec_serving.bundle.catalogue import Movie as Movie
from movierec_serving.bundle.content import BundleContent as BundleContent
from movierec_serving.bundle.evidence import Evidence as Evidence
from movierec_serving.bundle.families import FAMILIES as FAMILIES
from movierec_serving.bundle.kernel import popular as popular
from movierec_serving.bundle.kernel import recommend as recommend
from movierec_serving.bundle.kernel import top_items as top_items
from movierec_serving.bundle.layout import MAX_ID_LENGTH as MAX_ID_LENGTH
from movierec_serving.bundle.manifest import Manifest as Manifest
from movierec_serving.bundle.manifest import Provenance as Provenance
from movierec_serving.bundle.model import Model as Model
from movierec_serving.bundle.production import name_production as name_production
from movierec_serving.bundle.production import named_production as named_production
from movierec_serving.bundle.publication import TOP_N as TOP_N
from movierec_serving.bundle.publication import PublishedModel as PublishedModel
from movierec_serving.bundle.publishing import publish as publish
from movierec_serving.bundle.questions import questions as questions
from movierec_serving.bundle.ranking import Ranker as Ranker
from movierec_serving.bundle.ranking import Ranking as Ranking
from movierec_serving.bundle.report import PipelineReport as PipelineReport
from movierec_serving.bundle.report import ReportedDay as ReportedDay
from movierec_serving.bundle.report import ReportedProduction as ReportedProduction
from movierec_serving.bundle.report import read_report as read_report
from movierec_serving.bundle.report import write_report as write_report
from movierec_serving.bundle.selection import Ranked as Ranked
from movierec_serving.bundle.taste import MOST_DISLIKED as MOST_DISLIKED
from movierec_serving.bundle.taste import liked as liked
from movierec_serving.bundle.taste import overall_mean as overall_mean
from movierec_serving.bundle.taste import signed as signed
from movierec_serving.bundle.taste import user_means as user_means
from movierec_serving.bundle.weights import weight_of as weight_of
from movierec_serving.bundle.writer import write_bundle as write_bundle
from movierec_serving.errors import BundleError as BundleError
from movierec_serving.errors import OddNameError as OddNameError
from movierec_serving.errors import OptionError as OptionError
from movierec_serving.errors import StoreError as StoreError
