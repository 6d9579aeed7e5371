"""Human judgments + representations -> an affine transform, the teacher."""
