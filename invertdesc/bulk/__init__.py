"""Process many images: a store or files in, a folder of results out."""

from invertdesc.bulk.files import extract_files, extract_folder, reconstruct_files
from invertdesc.bulk.jobs import Outcome, Status
from invertdesc.bulk.places import plan_files, plan_outputs
from invertdesc.bulk.store import reconstruct_store
from invertdesc.bulk.summary import Summary

__all__ = [
    "Outcome",
    "Status",
    "Summary",
    "extract_files",
    "extract_folder",
    "plan_files",
    "plan_outputs",
    "reconstruct_files",
    "reconstruct_store",
]
