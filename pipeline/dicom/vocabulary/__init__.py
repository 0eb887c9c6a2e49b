"""The words and codes that devices write for modality, view and body part."""
