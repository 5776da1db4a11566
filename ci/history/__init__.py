"""Read, merge and classify the records of earlier builds."""
