"""Motion and pictures of many sessions in batches on one torch device, a GPU if there is one.

Imported by nobody unless a device is asked for: serving on processors does without torch.
"""
