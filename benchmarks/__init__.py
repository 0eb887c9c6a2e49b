"""What measures, and trains, the shipped network; neither installed nor part of the tests."""
