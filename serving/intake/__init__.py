"""Events by HTTP: kept before they are acknowledged, then moved into the lake and the scores."""
