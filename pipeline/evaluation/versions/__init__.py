"""Two versions on the same images: do they agree, and may one replace the other?"""
