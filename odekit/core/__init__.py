"""Shared vocabulary: images, noise, schedules, interfaces, options. Independent of file formats, parts and chains."""
