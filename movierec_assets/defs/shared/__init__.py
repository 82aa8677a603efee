"""What the stages share: the daily asset's days, metadata and pictures."""
