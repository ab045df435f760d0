"""The chatbot front end: a brain's text becomes speech while it is being written."""
