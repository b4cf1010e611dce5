"""What both machines share: uintptr arithmetic, last words, size classes, sampling."""
