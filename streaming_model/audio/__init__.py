"""Speech in: log-mel features in numpy, and the network that turns them into phonetic ones."""
