"""The conformance kit: one class of tests a stage. Every test is a sentence about the component under test."""
