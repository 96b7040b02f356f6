"""ALL models MUST inherit from pl.LightningModule."""
