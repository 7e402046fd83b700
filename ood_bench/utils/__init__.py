"""Small tools that know nothing of the field: files, locks, progress, time limit, building objects from config."""
