"""Pure functions from messages to columns and from columns to figures: no I/O, no clock."""
