"""The demonstration: the library's main job, end to end, on an empty machine."""
