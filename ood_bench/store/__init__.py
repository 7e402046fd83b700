"""Looking after what lies on disk: artifacts and records are checked, counted, cleared away and exported."""
