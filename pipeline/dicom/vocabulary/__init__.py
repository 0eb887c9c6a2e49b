"""Words and codes for views and body parts, in the languages and spellings that devices write."""
