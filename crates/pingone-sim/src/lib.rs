//! pingone-sim
