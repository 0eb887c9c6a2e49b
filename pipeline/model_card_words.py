"""The model card's standing text."""

from typing import Final

TEMPLATE: Final = """\
# Model card: {model_version}

Generated from `card.json`; change that, not this.

**Research use only.** Not a medical device, not for diagnosis, not for deciding treatment.

## Intended use

A second reading of frontal chest radiographs of small children, in research: people who read every
film themselves sort a work list by it, compare their reading with it, or study how such networks
fail.

**Out of scope:** diagnosis or treatment; reading without a reader; ruling pneumonia out; adults
(see the figures below); lateral views, other body parts, other kinds of images; any other disease;
the probability as a patient's risk.

## What it is

{architecture}.
It reads one frontal chest radiograph ({side} x {side}, 8 bit grey, squashed to a square) and gives
the probability of pneumonia, a {heatmap} Grad-CAM heatmap, and how unlike its training images the
radiograph is.

Made {created_at} by code {git_commit} with {libraries}.

## Whom it learned from

{population}

{data}

No patient is in both. {splits}

## Recipe

{recipe}

## How good it is

Every figure comes with its 95 % interval from a bootstrap over patients, and counts all images that
could be read, also those that get no finding because they are unfamiliar. Weights, temperature and
thresholds were chosen with the validation patients in view: only the other rows, where there are
any, are untouched by choice.

{overall}

Brier score and ECE (expected calibration error, ten bins of equal width): lower is better. The
interval of the ECE lies somewhat high, since drawing patients anew adds chance of its own.

{points}

These commands measure the rows anew, with `--version` where this version is not the one that ships,
and `--operating-point sensitive` for the other threshold:

{commands}

### Calibration

The probability is that of the logit divided by the temperature {temperature:.3f}: {calibration}.
Where pneumonia is rarer than that, the probability is too high. It is never shown without its
threshold.

Expected calibration error: {errors}.

### Adults

The network learned from small children. What rows above say of adults, of other hospitals and of
the literature is what to expect there, and no more. Films near the limit of what it knows, as many
of adults are, come with the warning: {warning}.

## When it gives no finding

Above an unfamiliarity of {unfamiliarity_limit}: {unfamiliarity_rule}.
From {warning_limit} on, an answer comes with a warning. Images without a finding:

{strange}

It is a distance from the training images. What looks like one of them is not noticed: another
disease, another patient's name on the film, a part that was cut away, an image that was altered on
purpose.

## Known failures and limits

{known_limits}

## The heatmap

It marks where the last feature map raised the logit of pneumonia (Grad-CAM, Selvaraju 2017),
{heatmap} places over the whole image. It is not an outline of a disease, not a measurement, and no
evidence that the network saw what a reader would see; it may mark a cue that is no disease, such as
a label or the edge of the film. Where the logit was not raised, it is empty.

{heatmap_scores}

## Learning curves

![learning curves](learning_curves.png)
"""

SPLITS_OF_A_FOLDER: Final = """\
Patients are read from the file names; a hash of the patient, with the key
`{key}`, sets about {share} of them aside for validation. The hash in the table
stands for exactly these pixels with these labels."""
SPLITS_OF_A_SNAPSHOT: Final = """\
A keyed hash of the patient sets some aside for validation and others for tests, for ever; imported
sets keep splits of their own. The hash in the table stands for exactly these pixels with these
labels.

It is snapshot {id} (`{digest}`) of the labels that were there. The training went on from {start}
and taught {what}. An epoch came to {site_images} images of this site {site_times_an_epoch:.1f}
times each, and to {base_images} imported ones, {base_share:.0%} of an epoch. What is usual, by
which strange images are told, {guard}.
"""
