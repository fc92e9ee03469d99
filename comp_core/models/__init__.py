"""What a modelling project imports: the abstract bases, and the run that they share."""

from comp_core.models.attempt import Attempt, Interruption
from comp_core.models.base_inputs import CoreInputs
from comp_core.models.base_run import CoreRun
from comp_core.models.maintenance_loop import MaintenanceLoop
from comp_core.models.run import Run
from comp_core.models.worker import Worker

__all__ = ["Attempt", "CoreInputs", "CoreRun", "Interruption", "MaintenanceLoop", "Run", "Worker"]
