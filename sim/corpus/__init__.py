"""Transcripts from elsewhere: read from many formats, put into steps, and observed like any run."""
