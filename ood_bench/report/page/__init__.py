"""One HTML page of all results that needs nothing but itself: papers' numbers beside ours, with what lies behind."""
