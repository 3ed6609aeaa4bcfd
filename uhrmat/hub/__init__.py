"""Network weights: the catalogue, fetching, verifying, converting, publishing.

Modules:
    entry: `CatalogEntry`, what the catalogue states about one set of weights; `LocalWeights`, files on this machine.
    catalog: reads `catalog.toml`; `catalog_entries` lists all entries, `find_entry` looks one up by name.
    bundled: the weights that are installed together with uhrmat.
    locate: `resolve` turns a name, path, folder or repository that a user typed into verified local files.
    fetch: downloads from the Hugging Face Hub into its cache; `failures` translates errors of that download.
    verify: compares sizes and SHA-256 hashes; `tensors` checks and reads safetensors files.
    consent: what the user allows the network for (environment variables and a settings file).
    convert: users' own PyTorch checkpoints to safetensors; `card` writes model cards; `push` publishes.
"""

from uhrmat.hub.catalog import catalog_entries, find_entry
from uhrmat.hub.entry import CatalogEntry, LocalWeights, Network, WeightsFile
from uhrmat.hub.locate import is_cached, resolve

__all__ = [
    "CatalogEntry",
    "LocalWeights",
    "Network",
    "WeightsFile",
    "catalog_entries",
    "find_entry",
    "is_cached",
    "resolve",
]
