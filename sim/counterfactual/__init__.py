"""What would have been: turns of a run had again with a message changed, and the world run again without a tie or an agent."""
