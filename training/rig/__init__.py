"""Makes the shipped rig: our own mesh, with bases fitted to ICT-FaceKit.

Run as `python -m training.rig ICT_FOLDER --landmarker TASK_FILE --out FOLDER`.
"""
