"""Studies: a model varied along named axes, solved, simulated, stored, resumed."""

from limitlaw.studies.files import load, save
from limitlaw.studies.study import Study

__all__ = ["Study", "load", "save"]
