"""Running many cases: by processes of this machine, by a Dask cluster, and on from where an earlier run stopped."""
