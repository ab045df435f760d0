"""People's pictures: by what right they are used, how long they stay, and whose may not be used."""
