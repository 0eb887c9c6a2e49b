"""Labels given on a study page or by CSV."""
