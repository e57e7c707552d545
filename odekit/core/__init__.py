"""The vocabulary that every package uses: images, noise, schedules, interfaces, options. Knows no file format, part or chain."""
