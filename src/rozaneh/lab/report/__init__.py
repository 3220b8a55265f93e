"""What a run leaves behind: the timeline of a cell, the JSON report's values, and the page a person reads."""
