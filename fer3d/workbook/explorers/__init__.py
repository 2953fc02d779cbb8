"""Explorers: pictures that follow sliders, for JupyterLab and Voila. Only this folder imports ipywidgets."""
