"""Presets separate what people ask for by name; each says when it fails.

A preset is a function (X, stft, sample_rate, settings) -> Grouped, its groups in the order of the names that
`settings.choices.PRESETS` gives its stems.
"""
