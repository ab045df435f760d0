"""Text to speech with exact phone times: several engines behind one `Voice`.

Import names from the modules; nothing is loaded until `catalog.open_voice` is called.
"""
