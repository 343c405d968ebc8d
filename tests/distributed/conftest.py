"""Ray reads how it is let in when it is imported: so that is said before any test is."""

import os

from ray_cluster import admission

os.environ.update(admission())
