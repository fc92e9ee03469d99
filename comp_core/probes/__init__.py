"""What the doctor asks about the core: its workers, its runs, and what they stand on."""
