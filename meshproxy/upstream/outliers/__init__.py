"""Outlier detection: endpoints that fail are left out for a while (envoy.config.cluster.v3.OutlierDetection).

`tally` counts what becomes of an endpoint's exchanges, `monitor` hears of them, `detector` decides.
"""
