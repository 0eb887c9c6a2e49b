"""De-identification of stored files (PS3.15 Annex E Basic Profile)."""
