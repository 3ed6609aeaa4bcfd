"""Where weights come from: the catalogue, fetching, verifying, converting, publishing.

`resolve` turns what a user typed into verified files on this machine; `entries` and `find` say what is known by name.
"""

from uhrmat.hub.catalog import entries, find
from uhrmat.hub.entry import CatalogEntry, LocalWeights, Network, WeightsFile
from uhrmat.hub.locate import cached, resolve

__all__ = ["CatalogEntry", "LocalWeights", "Network", "WeightsFile", "cached", "entries", "find", "resolve"]
