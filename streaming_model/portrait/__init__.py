"""The intake of a picture: from an image file to everything the renderer needs of a face."""
